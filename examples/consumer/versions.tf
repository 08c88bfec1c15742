terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100" # what this example is tested with
    }
  }
}

provider "aws" {
  region = var.region
}
