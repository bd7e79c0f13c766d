"""Programs that measure Pleura: its speed, its accuracy and its service.

Run them from the checkout, as `python -m benchmarks.speed`; their results lie in `results/`.
"""
