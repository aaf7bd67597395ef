"""Judging measured values: against limits (`Threshold`) and against what was measured before (`Baseline`).

``measured`` says what a value is worth, ``threshold`` and ``baseline`` judge it, ``judgement`` is what comes of that;
``distributions`` and ``significance`` are the statistics, ``store`` keeps baselines in files. Only the last one does
input or output.
"""
