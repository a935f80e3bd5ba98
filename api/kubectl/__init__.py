"""`kubectl loco`: what a person asks of a cluster with kubectl's own rights, kubeconfig and errors."""
