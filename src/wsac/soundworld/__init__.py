"""A procedural world of sounds with exact captions: demo recordings, a paired benchmark, and a small text corpus."""

from .grammar import write_caption, write_captions
from .scenes import DEMO_SEED, Scene, demo_scenes, make_scene, render_scene, sample_scene
from .sounds import KINDS, Kind

__all__ = [
    "DEMO_SEED",
    "KINDS",
    "Kind",
    "Scene",
    "demo_scenes",
    "make_scene",
    "render_scene",
    "sample_scene",
    "write_caption",
    "write_captions",
]
