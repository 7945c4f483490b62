"""Metrics, a module a task.

A metric is added as one new module in this folder: a dataclass that derives from ``Metric`` (see
metric.py), and a table of the names that users type, the last statement of the module::

    METRICS: MetricTable = {"mae": RegressionMetric("mae"), "r2": RegressionMetric("r2")}

A name that ends in K stands for all that end in a number: its value is a function of that number,
as in ``"topK": TopK``. Nothing else needs to be told: metric_names.py finds the tables.
"""
