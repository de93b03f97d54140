"""Training: batches of the manifest's files, DDP ranks, the loop, calibration, launchers. [torch]"""
