"""Metrics of captions, one a file: ``evaluate(items, "fast")`` gives a Report of Scores.

>>> from wsac.evaluation import Item, evaluate
>>> report = evaluate([Item("1", "a dog barks", ("a dog is barking", "barking")), Item("2", "rain", ("it rains",))])
>>> report.scores["cider_d"].corpus
"""

from wsac.evaluation.metrics.items import Item, MissingError, Score
from wsac.evaluation.metrics.registry import METRICS, SETS, Models
from wsac.evaluation.results import Report
from wsac.evaluation.scoring import evaluate

__all__ = ["METRICS", "SETS", "Item", "MissingError", "Models", "Report", "Score", "evaluate"]
