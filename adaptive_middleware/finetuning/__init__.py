"""Fine-tuned calibration: a process reward model taught to predict quantiles of success."""
