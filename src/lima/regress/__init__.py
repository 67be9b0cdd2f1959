"""What tuning made a model forget: tasks of lm-evaluation-harness on the base and on the tuned model, paired by item."""
