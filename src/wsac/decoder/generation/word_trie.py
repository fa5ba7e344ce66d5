"""Words only: which tokens may come next, so that captions hold no word that nobody wrote."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wsac.arrays import Tensor, torch
from wsac.data.tokenizer import EOS, Tokenizer
from wsac.io.files import write_text

MARKS = ",.;:!?"  # may follow a word
AROUND = string.punctuation + "“”‘’„«»…–—"
MANY = 5_000  # captions: of so many, a word that occurs once may be a misspelling
FEWEST = 3  # words in a caption, on average: fewer are labels, or a script without spaces
START, AFTER_MARK = 0, 1  # nodes, and the kinds of these; other nodes are within or end a word
WITHIN, WHOLE = 2, 3


def words_of(caption: str) -> list[str]:
    """The words between spaces, without punctuation around them."""
    words = (word.strip(AROUND) for word in caption.split())
    return [word for word in words if word]


def vocabulary(captions: Sequence[str], more: Iterable[str] = ()) -> list[str]:
    """The sorted words of captions, and ``more``; [] when the captions have no words to tell apart.

    Of 5,000 captions or more, words that occur once in any case are left out.
    The capital that begins a caption counts as a small letter.
    """
    counts: Counter[str] = Counter()
    for caption in captions:
        first, *others = words_of(caption) or [""]
        small = first[:1].lower() + first[1:]
        counts.update([small if small == small.lower() else first, *others])
    if counts.total() < FEWEST * len(captions):
        return []
    cases: Counter[str] = Counter()
    for word, count in counts.items():
        cases[word.lower()] += count
    least = 2 if len(captions) >= MANY else 1
    return sorted({word for word in counts if word and cases[word.lower()] >= least} | set(more))


@dataclass(frozen=True)
class Words:
    """The only words that a decoder may write, and the tokenizer that spells them."""

    words: Sequence[str]
    tokenizer: Tokenizer
    _tries: dict[torch.device, WordTrie] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls, captions: Sequence[str], tokenizer: Tokenizer, more: Iterable[str] = ()
    ) -> Words | None:
        """The words of captions, and ``more``; None where any may be written: with the vocabulary
        of another model, or of captions whose words cannot be told apart.
        """
        words = vocabulary(captions, more) if type(tokenizer) is Tokenizer else []
        return cls(words, tokenizer) if words else None

    @classmethod
    def load(cls, path: Path, tokenizer: Tokenizer) -> Words:
        """Read words.txt, a word in each line."""
        return cls(path.read_text(encoding="utf-8").split(), tokenizer)

    def save(self, path: Path) -> None:
        """Write words.txt."""
        write_text(path, "\n".join(self.words))

    def trie(self, device: torch.device) -> WordTrie:
        """Their trie on a device, made when it is first asked for."""
        if self._tries.get(device) is None:
            self._tries[device] = WordTrie(self.words, self.tokenizer, device)
        return self._tries[device]


class WordTrie:
    """A trie of the tokens of all words, in tensors, so that all beams take a step at once.

    A node says which tokens may follow: the rest of its word; after a whole word a mark, another
    word or the end; after a mark a word or the end. Every word may begin with a capital.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer, device: torch.device) -> None:
        self._vocab = tokenizer.vocab_size
        forms = dict.fromkeys((*words, *(word[:1].upper() + word[1:] for word in words)))
        edges: dict[int, int] = {}  # node · V + token → node
        whole = []
        for row in tokenizer.encode(list(forms)):
            node = START
            for token in row:
                node = edges.setdefault(node * self._vocab + token, len(edges) + 2)
            whole.append(node)
        self._keys = torch.tensor(sorted(edges))
        self._child = torch.tensor([edges[key] for key in self._keys.tolist()])
        parent, self._token = self._keys // self._vocab, self._keys % self._vocab
        marked = tokenizer.encode([f"a{mark}" for mark in MARKS])
        marks = torch.tensor(sorted({row[-1] for row in marked}))
        starts = self._token[parent == START]
        self._first = torch.zeros(self._vocab, dtype=torch.long)  # START for tokens out of place
        self._first[marks] = AFTER_MARK
        self._first[starts] = self._child[parent == START]
        self._children = torch.bincount(parent, minlength=len(edges) + 2)
        self._begin = self._children.cumsum(0) - self._children
        self._children[START] = 0  # the row of its kind has them
        self._kind = torch.full_like(self._children, WITHIN)
        self._kind[whole] = WHOLE
        # "a." is a word and its mark, also where a vocabulary goes on to "a.m"
        after = (self._kind[parent] == WHOLE) & torch.isin(self._token, marks)
        self._kind[self._child[after & (self._kind[self._child] == WITHIN)]] = AFTER_MARK
        self._kind[:2] = torch.tensor([START, AFTER_MARK])
        self._closed = torch.ones(4, self._vocab, dtype=torch.bool)
        self._closed[:2, starts] = self._closed[WHOLE, starts] = False
        self._closed[[AFTER_MARK, WHOLE], EOS] = self._closed[WHOLE, marks] = False
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))

    def forbidden(self, node: Tensor) -> Tensor:
        """[R, V]: the tokens that may not follow the nodes [R]."""
        closed, count = self._closed[self._kind[node]], self._children[node]
        row = torch.arange(len(node), device=node.device).repeat_interleave(count)
        skip = self._begin[node] - count.cumsum(0) + count
        place = torch.arange(len(row), device=node.device) + skip[row]
        closed[row, self._token[place]] = False
        return closed

    def after(self, node: Tensor, token: Tensor) -> Tensor:
        """The nodes after tokens, both of the shape of ``node``."""
        key = node * self._vocab + token
        place = torch.searchsorted(self._keys, key).clamp(max=len(self._keys) - 1)
        return torch.where(self._keys[place] == key, self._child[place], self._first[token])

    def trim(self, tokens: list[int]) -> list[int]:
        """Tokens that were cut at the limit, without the beginning of a word at their end."""
        node, length = torch.tensor(START, device=self._keys.device), 0
        for place, token in enumerate(tokens, 1):
            node = self.after(node, torch.full_like(node, token))
            length = place if self._kind[node] % 2 else length
        return tokens[:length]
