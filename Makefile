# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make demo    a session moved between two servers and back, with pictures in demo/
# make soak    a browser and spice-gtk behind a relay, over 20 handovers and 5 migrations of QEMU in each scheme;
#              screenshots in build/soak/; SOAK="--handovers 3 --migrations 1" makes a short run
# make check   ruff, mypy, all tests, and as root on Debian make check-deb; INSTALL_PEERS=1 first installs what they need
# make lint    ruff and mypy only
# make bench   traces replayed (also over TCP), codecs, memory, pause of a handover, cost of an idle daemon, drawing operations,
#              clients on slow lines, packing, passing sessions on; each beside its peer; REPLAY="--reps 1 --mode glz" makes a short run of the traces,
#              CODECS="--sources FOLDER" compiles the codecs of the peer (apt-get source spice spice-gtk)
# make deb     Debian packages in build/deb/, looked through by lintian; needs the Build-Depends of debian/control
# make check-deb   builds them, installs them in a clean Debian 12 and moves a guest there; as root, with debootstrap
# make docs    write again what is made from declarations: etc/ and man/
# make clean   remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := gir1.2-spiceclientglib-2.0 python3-gi xvfb virt-viewer xdotool x11-utils python3-twisted \
	python3-openssl python3-service-identity python3-pil python3-lz4 python3-cryptography python3-hypothesis \
	python3-bcrypt python3-wsproto python3-prometheus-client python3-treq python3-av python3-venv gcc python3-dev \
	openssh-client qemu-system-x86 chromium spice-html5 etcd-server debootstrap lintian \
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav
KERNELS := $(wildcard spicemig/_kernels/*.[ch])

.PHONY: all demo check check-debian lint bench soak deb check-deb docs clean peers

all: $(VENV)/ready

$(VENV)/ready: setup.cfg setup.py pyproject.toml $(KERNELS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	touch $@

demo: all
	$(BIN)/spicemig demo --out demo

check: peers all
	@$(BIN)/python tests/check.py

check-debian:
	@/usr/bin/python3 tests/check.py --debian

lint: all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: all
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python benchmarks/replay.py $(REPLAY)
	$(BIN)/python benchmarks/codecs.py $(CODECS)
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/transport.py
	$(BIN)/python benchmarks/slow_client.py
	$(BIN)/python benchmarks/pause.py
	$(BIN)/python benchmarks/idle.py
	$(BIN)/python benchmarks/raster.py
	$(BIN)/python benchmarks/wire_packing.py
	$(BIN)/python benchmarks/relay.py

soak: all
	$(BIN)/python -m tests.peers.soak_relay $(SOAK)

deb:
	rm -rf build/deb
	mkdir -p build/deb/spicemig
	git ls-files -z | tar -c --null --files-from=- | tar -x -C build/deb/spicemig
	cd build/deb/spicemig && PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg-buildpackage --no-sign
	cd build/deb && lintian --fail-on error,warning *.changes

check-deb: deb
	rm -rf build/bookworm
	debian/clean-tree build/bookworm

docs: all
	$(BIN)/python -m spicemig.control.manual

peers:
ifeq ($(INSTALL_PEERS),1)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEERS) >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get build-dep -y -qq ./ >/dev/null
endif

clean:
	rm -rf $(VENV) build demo _trial_temp* *.egg-info .mypy_cache .ruff_cache spicemig/*.so
	rm -f twisted/plugins/dropin.cache
	find spicemig tests twisted -name __pycache__ -prune -exec rm -rf {} +
