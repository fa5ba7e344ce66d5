"""Metrics of captions, one a file: ``evaluate(items, "fast")`` gives a Report of Scores.

>>> from wsac.metrics import Item, evaluate
>>> report = evaluate([Item("1", "a dog barks", ("a dog is barking", "barking")), Item("2", "rain", ("it rains",))])
>>> report.scores["cider_d"].corpus
"""

from .evaluation import Report, evaluate
from .items import Item, MissingError, Score
from .registry import METRICS, SETS, Models

__all__ = ["METRICS", "SETS", "Item", "MissingError", "Models", "Report", "Score", "evaluate"]
