"""A procedural world of sounds with exact captions: demo recordings, benchmarks, text corpora."""

from .falsehoods import swap_order, write_false
from .grammar import write_caption, write_references
from .kinds import KINDS, Kind, render_event, render_scene
from .sampler import DEMO_SEED, demo_scenes, sample_scene, write_captions
from .scene import FORMS, Event, Placed, Scene
from .write import write_corpus, write_scenes

__all__ = [
    "DEMO_SEED",
    "FORMS",
    "KINDS",
    "Event",
    "Kind",
    "Placed",
    "Scene",
    "demo_scenes",
    "render_event",
    "render_scene",
    "sample_scene",
    "swap_order",
    "write_caption",
    "write_captions",
    "write_corpus",
    "write_false",
    "write_references",
    "write_scenes",
]
