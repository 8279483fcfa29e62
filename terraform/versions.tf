terraform {
  # 1.9: a variable's validation may look at another variable.
  required_version = ">= 1.9.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Application = "ronda"
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}
