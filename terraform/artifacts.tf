# Model artifacts: a folder (RONDA_ARTIFACTS_URL) that the workers share. Files are named by their SHA-256 and verified when read.

resource "aws_efs_file_system" "artifacts" {
  creation_token   = "${local.name}-artifacts"
  encrypted        = true
  kms_key_id       = aws_kms_key.main.arn
  performance_mode = "generalPurpose"
  throughput_mode  = "elastic"
  tags             = { Name = "${local.name}-artifacts" }
}

resource "aws_efs_backup_policy" "artifacts" {
  file_system_id = aws_efs_file_system.artifacts.id

  backup_policy {
    status = "ENABLED"
  }
}

resource "aws_efs_mount_target" "artifacts" {
  for_each = aws_subnet.data

  file_system_id  = aws_efs_file_system.artifacts.id
  subnet_id       = each.value.id
  security_groups = [aws_security_group.artifacts.id]
}

resource "aws_efs_access_point" "artifacts" {
  file_system_id = aws_efs_file_system.artifacts.id
  tags           = { Name = "${local.name}-artifacts" }

  posix_user {
    uid = local.user_id
    gid = local.user_id
  }

  root_directory {
    path = "/artifacts"

    creation_info {
      owner_uid   = local.user_id
      owner_gid   = local.user_id
      permissions = "0750"
    }
  }
}

# Only over TLS, only through the access point, only as the tasks' roles.
resource "aws_efs_file_system_policy" "artifacts" {
  file_system_id = aws_efs_file_system.artifacts.id
  policy         = data.aws_iam_policy_document.artifacts.json
}

data "aws_iam_policy_document" "artifacts" {
  statement {
    sid       = "Read"
    actions   = ["elasticfilesystem:ClientMount"]
    resources = [aws_efs_file_system.artifacts.arn]

    principals {
      type        = "AWS"
      identifiers = [for role in aws_iam_role.task : role.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "elasticfilesystem:AccessPointArn"
      values   = [aws_efs_access_point.artifacts.arn]
    }
  }

  statement {
    sid       = "Write"
    actions   = ["elasticfilesystem:ClientWrite"]
    resources = [aws_efs_file_system.artifacts.arn]

    principals {
      type        = "AWS"
      identifiers = [for name in local.artifact_writers : aws_iam_role.task[name].arn]
    }

    condition {
      test     = "StringEquals"
      variable = "elasticfilesystem:AccessPointArn"
      values   = [aws_efs_access_point.artifacts.arn]
    }
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["*"]
    resources = [aws_efs_file_system.artifacts.arn]

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
