"""Starts the AWS stand-in: `python -m bakery.demo.stand_ins.aws --port N [--state FILE]`."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # The user's own profile must not apply here, and boto3 inside moto fails if the profile does not exist.
    os.environ.pop("AWS_PROFILE", None)
    # A few public images: moto's own 1300 cost 0.1 s and a megabyte of state per region and account.
    os.environ["MOTO_AMIS_PATH"] = str(Path(__file__).with_name("public_images.json"))
    from bakery.demo.stand_ins.aws.serve import main  # moto reads the variable when it is imported

    sys.exit(main())
