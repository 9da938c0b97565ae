#!/bin/sh
# A package is installed from its source and from a wheel, without an index.
set -eu
case $1 in
start)
    mkdir -p src/thing && cd src
    printf 'from setuptools import setup\nsetup(name="thing", version="1.0", packages=["thing"], entry_points={"console_scripts": ["thing=thing:main"]})\n' >setup.py
    printf 'def main():\n    print("thing")\n' >thing/__init__.py
    python3 -m pip wheel -q --disable-pip-version-check --no-index --no-build-isolation --no-deps -w ../wheels . 2>/dev/null
    rm -rf build ./*.egg-info
    ;;
run)
    pip="python3 -m pip install -q --disable-pip-version-check --no-index --no-deps --no-compile --root-user-action=ignore"
    $pip --target one wheels/*.whl
    $pip --target one --upgrade --force-reinstall wheels/*.whl
    $pip --target two --no-build-isolation ./src
    PYTHONPATH=one PYTHONDONTWRITEBYTECODE=1 python3 -c 'import thing; thing.main()' >out.txt
    ;;
esac
