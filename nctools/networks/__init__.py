"""Any file of weights and any architecture: a model that is ready to run."""
