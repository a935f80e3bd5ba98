# One file, four images: agent, jobs, api, decoy; `scripts/images` builds them.
# BASE: any Debian 13 whose python3 has venv.
ARG BASE=docker.io/library/python:3.13-slim

# Where packages are installed and code is compiled; pip stays behind here.
FROM ${BASE} AS build
RUN python3 -m venv /build/pip && python3 -m venv --without-pip /opt/loco
COPY scripts/image-packages /build/packages

FROM build AS agent-packages
COPY requirements/agent.lock /build/room.lock
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt /build/packages

FROM build AS jobs-packages
COPY requirements/jobs.lock /build/room.lock
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt /build/packages

FROM build AS api-packages
COPY requirements/api.lock /build/room.lock
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt /build/packages

# Each room's code with what it imports of the rooms upstream; import-linter holds that down, tests that it is enough.
FROM build AS decoy-code
COPY agent /app/agent
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM decoy-code AS agent-code
RUN rm -r /app/agent/decoy

FROM build AS jobs-code
COPY agent/__init__.py agent/commandline.py agent/environment.py agent/report.py agent/rfb.py agent/signing.py /app/agent/
COPY jobs /app/jobs
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM build AS api-code
COPY agent/__init__.py agent/commandline.py agent/environment.py agent/report.py /app/agent/
COPY jobs/__init__.py jobs/clock.py jobs/errors.py jobs/holder.py jobs/policy.py jobs/switches.py jobs/template.py /app/jobs/
COPY jobs/health /app/jobs/health
COPY jobs/store /app/jobs/store
COPY api /app/api
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

# What the images share. The user is a number, so that Kubernetes can tell that it isn't root. Nothing is installed here.
FROM ${BASE} AS room
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip
ENV PATH=/opt/loco/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/app PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 65532:65532

# libpulse is how the check of the sound reads PulseAudio.
FROM room AS agent-system
USER 0:0
RUN apt-get update -qq \
 && apt-get install -qq -y --no-install-recommends libpulse0 >/dev/null \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*
COPY --from=agent-packages /opt/loco /opt/loco
COPY --chmod=755 agent/health-monitor.sh /health-monitor.sh
COPY --chmod=755 agent/health-monitor.sh /usr/local/bin/health-monitor.sh

FROM agent-system AS agent
COPY --from=agent-code /app /app
USER 65532:65532
ENTRYPOINT ["python", "-m", "agent"]
ARG VERSION REVISION
LABEL org.opencontainers.image.title="loco-health agent" \
      org.opencontainers.image.description="Measures one QEMU instance, reports its health on :8080, and acts on it for who holds its key" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

FROM room AS jobs
COPY --from=jobs-packages /opt/loco /opt/loco
COPY --from=jobs-code /app /app
ENTRYPOINT ["python", "-m", "jobs"]
ARG VERSION REVISION
LABEL org.opencontainers.image.title="loco-health jobs" \
      org.opencontainers.image.description="Discovers, probes, classifies and mends a fleet of QEMU instances" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

FROM room AS api
COPY --from=api-packages /opt/loco /opt/loco
COPY --from=api-code /app /app
ENTRYPOINT ["python", "-m", "api"]
ARG VERSION REVISION
LABEL org.opencontainers.image.title="loco-health api" \
      org.opencontainers.image.description="Shows a fleet of QEMU instances to people and programs" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

# A real, tiny instance of ours: QEMU and PulseAudio without the desktops and codecs that Debian's packages bring along;
# two of them are only unpacked. Root, because a decoy makes links and opens /dev/kvm.
FROM agent-system AS decoy
RUN apt-get update -qq \
 && apt-get install -qq -y --no-install-recommends qemu-system-x86 pulseaudio-utils iproute2 procps \
        libltdl7 libtdb1 libwrap0 libspeexdsp1 liborc-0.4-0t64 libsoxr0 libfftw3-single3 >/dev/null \
 && cd /tmp && apt-get download -qq pulseaudio qemu-system-gui \
 && dpkg-deb --extract pulseaudio_*.deb / \
 && dpkg-deb --fsys-tarfile qemu-system-gui_*.deb | tar -x -C / --wildcards './usr/lib/*/qemu/audio-pa.so' \
 && rm /tmp/*.deb && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*
COPY --from=decoy-code /app /app
ENTRYPOINT ["python", "-m", "agent"]
ARG VERSION REVISION
LABEL org.opencontainers.image.title="loco-health decoy" \
      org.opencontainers.image.description="A real, tiny QEMU instance to watch, to break and to mend" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
