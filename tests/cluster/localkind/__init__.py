"""A real Kubernetes on one Linux machine without Docker, for tests. It answers the commands of kind.

Every node is a network namespace with its own containerd, kubelet, kube-proxy and kube-router; the control plane runs
in the first. All that a cluster runs sits in one cgroup, all that it mounts below two folders: that is how it is ended.

    cli        the commands
    layout     what a cluster's parts are called and where they live; pure
    binaries   Go modules -> programs, cached
    needs      what this machine must have
    shell      run a program, or say in one sentence why it failed
    cluster    create, list, delete
    records    what is kept of each cluster
    network    bridge, namespaces, routes
    cgroups    the cgroups of a cluster and the processes in them
    daemons    start a program inside a node; wait for a condition
    credentials  certificates and kubeconfigs
    control_plane  node  images  archives  volumes
    sweep      remove every trace of a cluster
"""
