locals {
  # Every task definition, and so every log group and task role.
  process_names = toset(["web", "scorer", "jobs", "migrate", "admin"])
}

resource "aws_cloudwatch_log_group" "process" {
  # checkov:skip=CKV_AWS_338: the admin group, and only that one, must forget soon; see below
  for_each = local.process_names

  name              = "/${local.name}/${each.key}"
  retention_in_days = each.key == "admin" ? 1 : var.log_retention_days # `user add` and `key add` print a secret once
  kms_key_id        = aws_kms_key.main.arn
}

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/${local.name}/vpc-flow"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.main.arn
}

resource "aws_cloudwatch_log_group" "cache" {
  name              = "/${local.name}/cache-slow"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.main.arn
}

# RDS writes to groups of these names.
resource "aws_cloudwatch_log_group" "database" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${local.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.main.arn
}

# The load balancer's request log.

resource "aws_s3_bucket" "requests" {
  # checkov:skip=CKV_AWS_18: this is the log bucket; logging its own reads would need another one without end
  # checkov:skip=CKV_AWS_144: request logs are not worth a second region
  # checkov:skip=CKV_AWS_145: a load balancer writes its log with SSE-S3 only
  # checkov:skip=CKV2_AWS_62: nobody waits for these objects
  bucket_prefix = "${local.name}-requests-"
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "requests" {
  bucket                  = aws_s3_bucket.requests.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "requests" {
  bucket = aws_s3_bucket.requests.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "requests" {
  bucket = aws_s3_bucket.requests.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "requests" {
  bucket = aws_s3_bucket.requests.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.log_retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "requests" {
  bucket = aws_s3_bucket.requests.id
  policy = data.aws_iam_policy_document.requests.json
}

data "aws_iam_policy_document" "requests" {
  statement {
    sid       = "LoadBalancerWrites"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.requests.arn}/AWSLogs/${local.account}/*"]

    principals {
      type        = "Service"
      identifiers = ["logdelivery.elasticloadbalancing.amazonaws.com"]
    }
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.requests.arn, "${aws_s3_bucket.requests.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}
