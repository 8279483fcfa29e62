# Where the state is kept. The generated passwords are in it, so it belongs into a bucket that is encrypted, versioned and
# readable by few. The bucket must exist before `terraform init`; it is not made here, because a state cannot hold the
# place that holds it. Fill in and uncomment, or pass the same with `terraform init -backend-config=...`.
#
# terraform {
#   backend "s3" {
#     bucket       = "<your state bucket>"
#     key          = "ronda/production.tfstate"
#     region       = "eu-central-1"
#     encrypt      = true
#     kms_key_id   = "<your key's ARN>"
#     use_lockfile = true # a lock object beside the state; needs Terraform 1.10, and no DynamoDB table
#   }
# }
