# Every target sets up what it needs in .venv/ (scripts/setup) and then runs one script.
DEMO_PORT ?= 3000
DEMO_INSTANCES ?= 3
DETACH ?=
CLUSTER_NAME ?= loco
# What a cluster without Docker needs, and what builds its images
CLUSTER_PACKAGES = runc containernetworking-plugins iptables ipset nftables conntrack openssl buildah debootstrap
# What the tests drive: a browser, and the receivers of what we tell
TEST_PACKAGES = $(CLUSTER_PACKAGES) chromium -- prometheus prometheus-alertmanager nginx
export CLUSTER_NAME
export DEMO_PORT DEMO_INSTANCES DETACH

.PHONY: help setup demo demo-stop cluster cluster-delete test soak bench check

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

setup: ## virtual environment, packages, and as root the Debian packages
	@scripts/setup

demo: setup ## three real instances, watched and healed, at http://127.0.0.1:3000 (DETACH=1, DEMO_PORT, DEMO_INSTANCES)
	@scripts/demo start

demo-stop: ## end the demo; exits 0 also when nothing runs
	@scripts/demo stop

cluster: ## a Kubernetes of two nodes with our images; the last line sets KUBECONFIG (CLUSTER_NAME)
	@scripts/setup $(CLUSTER_PACKAGES) >&2
	@scripts/cluster create

cluster-delete: ## end that cluster; exits 0 also when there is none
	@scripts/cluster delete

test: ## format, lint, types, imports, docs; unit, contract and cluster tests
	@scripts/setup $(TEST_PACKAGES)
	@scripts/check
	@scripts/test

soak: ## every fault, the long hand-overs and outages, here and in a cluster
	@scripts/setup $(TEST_PACKAGES)
	@scripts/soak

bench: setup ## the figures of the README
	@scripts/bench

check: setup ## format, lint, types, imports, docs
	@scripts/check
