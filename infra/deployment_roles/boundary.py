"""What no role of a stack may exceed, whatever the deployed code says."""

from infra.deployment_roles.place import Place
from infra.deployment_roles.reads import of_key
from infra.policy import JOIN_NETWORK, SEND_TRACES, Statement


def boundary(place: Place) -> list[Statement]:
    """The statements of the permissions boundary: all that a function or a schedule of the stack does."""
    return [
        Statement("InvokeFunctions", ["lambda:InvokeFunction"], [place.functions]),
        Statement(
            "UseQueues",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            place.queues,
        ),
        Statement(
            "UseTable",
            [
                "dynamodb:BatchGetItem",
                "dynamodb:DeleteItem",
                "dynamodb:DescribeTable",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
            ],
            [place.table],
        ),
        Statement("UseLedger", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], [f"{place.ledger}/*"]),
        Statement("ListLedger", ["s3:ListBucket"], [place.ledger]),
        Statement("ReadSecrets", ["secretsmanager:GetSecretValue"], place.secrets),
        Statement("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], place.log_streams),
        Statement("UseKeys", ["kms:Decrypt", "kms:GenerateDataKey"], [place.keys], condition=of_key(place)),
        SEND_TRACES,
        JOIN_NETWORK,
    ]
