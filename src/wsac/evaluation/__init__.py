"""Scores of captions, their comparison and reports: ``evaluate(items, "fast")`` gives a Report.

>>> from wsac.evaluation import Item, evaluate
>>> dog = Item("1", "a dog barks", ("a dog is barking", "barking"))
>>> report = evaluate([dog, Item("2", "rain", ("it rains",))])
>>> report.scores["cider_d"].corpus
"""

from wsac.evaluation.metrics.items import Item, MissingError, Score
from wsac.evaluation.metrics.registry import METRICS, SETS, Models
from wsac.evaluation.results import Report
from wsac.evaluation.scoring import evaluate

__all__ = ["METRICS", "SETS", "Item", "MissingError", "Models", "Report", "Score", "evaluate"]
