variable "image" {
  description = "Image to use."
  type        = string
  default     = "web"
}

variable "arch" {
  description = "Architecture of the image."
  type        = string
  default     = "x86_64"
}

variable "region" {
  description = "Region to start instances in: one of those that the image is published in."
  type        = string
  default     = "us-east-1"
}

variable "follow" {
  description = "true: use what the channel points at now. false: use what the images stack was last deployed with."
  type        = bool
  default     = false
}

variable "subnet_ids" {
  description = "Subnets to start instances in; empty takes those of the default VPC."
  type        = list(string)
  default     = []
}

variable "instance_type" {
  description = "Type of the instances."
  type        = string
  default     = "t3.micro"
}

variable "size" {
  description = "How many instances."
  type        = number
  default     = 1
}

variable "state" {
  description = "Where the images stack keeps its state: the settings of Terraform's S3 backend."
  type = object({
    bucket         = string
    key            = string
    region         = string
    use_path_style = optional(bool, false) # for a stand-in of S3, where buckets have no host names
  })
  default = {
    bucket = "bakery-demo-state"
    key    = "demo/images.tfstate"
    region = "us-east-1"
  }
}
