# Shared by scripts/demo and scripts/test: finds Python, makes the virtual environment, installs into it.
# Sourced with the working directory at the top of the repository.

die() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

find_python() {
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "needs Python 3.11, 3.12 or 3.13; found: $(python3 --version 2>&1 || echo none)"
}

# Installs Debian packages that are missing, when root; otherwise says which. $1: why, the rest: packages.
need_packages() {
    local why=$1 missing=() package
    shift
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        die "$why needs: sudo apt-get install ${missing[*]}"
    fi
    echo "installing ${missing[*]} ..." >&2
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

# $1: extras to install, such as "" or "[dev]".
make_venv() {
    local python stamp
    python=$(find_python)
    if [ ! -x .venv/bin/python ]; then
        if ! "$python" -m ensurepip --version >/dev/null 2>&1; then
            need_packages "making a virtual environment" python3-venv
        fi
        "$python" -m venv .venv
    fi
    stamp=.venv/installed$1
    if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
        echo "installing Python packages into .venv ..." >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".$1"
        touch "$stamp"
    fi
}
