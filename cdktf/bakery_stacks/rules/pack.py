"""All rules, in the order of their ids."""

from bakery_stacks.rules.encryption import ENCRYPTION
from bakery_stacks.rules.exposure import EXPOSURE
from bakery_stacks.rules.keeping import KEEPING
from bakery_stacks.rules.machines import MACHINES
from bakery_stacks.rules.permissions import PERMISSIONS
from bakery_stacks.rules.rule import Rule
from bakery_stacks.rules.secrets import SECRETS

RULES: tuple[Rule, ...] = (*EXPOSURE, *ENCRYPTION, *MACHINES, *KEEPING, *SECRETS, *PERMISSIONS)
