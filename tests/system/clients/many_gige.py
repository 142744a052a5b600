"""As many Aravis programs as there are GigE cameras, one for each, all at once: prints what each says at its end."""

import json
import re
import subprocess
import sys
from pathlib import Path

CLIENT = [sys.executable, str(Path(__file__).with_name("gige_client.py"))]


def main() -> None:
    listed = subprocess.run(["arv-tool-0.8"], capture_output=True, text=True, check=True).stdout
    addresses = re.findall(r"\(([\d.]+)\)", listed)
    print(json.dumps({"addresses": sorted(addresses)}))
    programs = [
        subprocess.Popen([*CLIENT, "--camera", address, *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
        for address in addresses
    ]
    for program in programs:
        said, _ = program.communicate()
        print(said, end="", flush=True)
        assert program.returncode == 0


if __name__ == "__main__":
    main()
