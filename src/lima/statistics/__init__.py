"""Statistics of paired preferences and of ratings: pure numpy and scipy, no files (LIMA, sections 4 to 6).

Every result is a small frozen record with its value, interval, level, sample size and method. Where a figure
does not exist the result is an `Undefined` that says why; no function returns NaN.
"""
