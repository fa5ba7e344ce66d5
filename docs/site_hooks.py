"""MkDocs hooks: the pages beside docs/ (README, RESULTS, …) belong to the site too."""

from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
OUTSIDE = ("README.md", "RESULTS.md", "CHANGELOG.md", "LICENSES.md", "SECURITY.md")


def on_files(files, config):
    """Add the outside pages; README.md is the home page."""
    for name in OUTSIDE:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        target = "index.md" if name == "README.md" else name
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links from docs/ to the outside pages point into the site."""
    up = "../" * page.file.src_uri.count("/")
    for name in OUTSIDE[1:]:
        markdown = markdown.replace(f"](../{up}{name}", f"]({up}{name}")
    return markdown.replace(f"](../{up}README.md", f"]({up}index.md")
