terraform {
  required_version = ">= 1.5" # its tests need 1.7, for mock_provider

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100" # what this module is tested with
    }
  }
}
