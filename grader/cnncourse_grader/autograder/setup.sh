#!/usr/bin/env bash
# Gradescope runs this once, as root, while it builds the autograder's image.
set -euo pipefail
source=${AUTOGRADER:-/autograder}/source
apt-get update
apt-get install --yes --no-install-recommends bubblewrap python3 python3-venv
# Let the build fail, not every student.
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 is needed: choose Ubuntu 24.04")'
python3 -m venv /opt/cnncourse
# torch without CUDA first: a tenth of the download
/opt/cnncourse/bin/pip install --quiet --index-url https://download.pytorch.org/whl/cpu \
    "$(grep '^torch' "$source/requirements.txt")"
/opt/cnncourse/bin/pip install --quiet --requirement "$source/requirements.txt"
# Only root may read the solutions and the seed.
chmod -R go= "$source"
