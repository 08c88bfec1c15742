variable "image" {
  description = "Name of the image, as in its definition."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,48}[a-z0-9]$", var.image))
    error_message = "The name of an image has lower-case letters, digits and hyphens, and at most 50 of them."
  }
}

variable "owners" {
  description = "Accounts whose images are accepted: that of the bakery. Anybody may give an image the same name."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.owners) > 0 && alltrue([for owner in var.owners : can(regex("^(\\d{12}|self)$", owner))])
    error_message = "An owner is the number of an account, with 12 digits, or \"self\"."
  }
}

variable "arch" {
  description = "Architecture of the image."
  type        = string
  default     = "x86_64"
  nullable    = false
}

variable "channel" {
  description = "Channel to follow: each promotion to it shows in the next plan. Ignored if `pinned_version` is set."
  type        = string
  default     = "stable"
  nullable    = false
}

variable "pinned_version" {
  description = "Version to stay with, such as 1.4.7; null follows the channel."
  type        = string
  default     = null

  validation {
    condition     = var.pinned_version == null || can(regex("^\\d+\\.\\d+\\.\\d+$", var.pinned_version))
    error_message = "A version is three numbers, such as 1.4.7."
  }
}
