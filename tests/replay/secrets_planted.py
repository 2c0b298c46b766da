"""Made-up secrets of every kind. They are put together here, so that no scanner of repositories takes them for real."""

from base64 import b64encode
from urllib.parse import quote, quote_plus

_ALNUM = 'aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1vW2xY3zA4bC5dE6fG7hI8jK9'
_HEX = '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0'
_UPPER = 'Q2W3E4R5T6Y7U8I9'


def _b(length: int) -> str:
    return _ALNUM[:length]


SECRETS: dict[str, str] = {
    'openai-key': 'sk-' + _b(48),
    'openai-key project': 'sk-' + f'proj-{_b(20)}-{_b(20)}_x9',
    'openai-key test': 'sk-' + f'test-{_HEX[:20]}',
    'anthropic-key': 'sk-' + f'ant-api03-{_b(40)}-{_b(8)}AA',
    'openrouter-key': 'sk-' + f'or-v1-{_HEX}',
    'langfuse-key': 'sk-' + 'lf-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
    'google-api-key': 'AI' + f'za{_b(35)}',
    'google-oauth-token': 'ya' + f'29.{_b(40)}',
    'google-oauth-secret': 'GOC' + f'SPX-{_b(28)}',
    'aws-access-key-id': 'AK' + f'IA{_UPPER}',
    'aws-secret-key': 'aws_secret_access_key = ' + _b(40),
    'aws-session-token': 'aws_session_token = ' + _b(80) + '==',
    'github-token': 'gh' + f'p_{_b(36)}',
    'github-token fine-grained': 'github' + f'_pat_{_b(22)}_{_b(50)}',
    'gitlab-token': 'gl' + f'pat-{_b(20)}',
    'slack-token': 'xo' + f'xb-123456789012-123456789012-{_b(24)}',
    'slack-webhook': 'https://hooks.slack' + f'.com/services/T0A1B2C3D/B0A1B2C3D/{_b(24)}',
    'discord-webhook': 'https://discord' + f'.com/api/webhooks/123456789012345678/{_b(60)}',
    'stripe-key': 'sk' + f'_live_{_b(24)}',
    'stripe-key hook': 'wh' + f'sec_{_b(32)}',
    'huggingface-token': 'h' + f'f_{_b(34)}',
    'groq-key': 'gs' + f'k_{_b(52)}',
    'xai-key': 'xa' + f'i-{_b(60)}',
    'replicate-token': 'r' + f'8_{_b(37)}',
    'perplexity-key': 'pp' + f'lx-{_b(48)}',
    'nvidia-key': 'nv' + f'api-{_b(60)}',
    'tavily-key': 'tv' + f'ly-dev-{_b(32)}',
    'langsmith-key': 'ls' + f'v2_pt_{_HEX[:32]}_{_HEX[:10]}',
    'logfire-token': 'py' + f'lf_v1_us_{_b(43)}',
    'databricks-token': 'da' + f'pi{_HEX[:32]}',
    'digitalocean-token': 'do' + f'p_v1_{_HEX}',
    'npm-token': 'np' + f'm_{_b(36)}',
    'pypi-token': 'py' + f'pi-AgEIcHlwaS5vcmc{_b(60)}',
    'sendgrid-key': 'S' + f'G.{_b(22)}.{_b(43)}',
    'mailgun-key': 'ke' + f'y-{_HEX[:32]}',
    'telegram-token': '123456789' + f':AA{_b(33)}',
    'shopify-token': 'sh' + f'pat_{_HEX[:32]}',
    'linear-key': 'li' + f'n_api_{_b(40)}',
    'notion-token': 'nt' + f'n_{_b(46)}',
    'vault-token': 'hv' + f's.{_b(24)}',
    'azure-client-secret': 'aB3' + f'8Q~{_b(34)}',
    'azure-account-key': 'DefaultEndpointsProtocol=https;Account' + f'Key={_b(86)}==;EndpointSuffix=core.windows.net',
    'signed-url': 'https://x.blob.core.windows.net/c/b?sv=2020&si' + f'g={_b(43)}%3D',
    'jwt': 'ey' + 'JhbGciOiJIUzI1NiJ9.ey' + f'JzdWIiOiIxMjM0NTY3ODkwIn0.{_b(43)}',
    'bearer-token': 'Bearer ' + _b(40),
    'basic-auth': 'Authorization: Basic ' + 'dXNlcjpwYXNzd29yZDE=',
    'url-password': 'postgres://app:' + 'h0rsebatterystaple7@db.example.com:5432/app',
    'cookie': 'Cookie: ' + f'session={_HEX[:32]}; theme=dark',
    'private-key': '-----BEGIN RSA PRIV' + f'ATE KEY-----\n{_b(64)}\n{_b(40)}==\n-----END RSA PRIV' + 'ATE KEY-----',
    'assigned-secret': 'password=' + 'Tr0ub4dor&3x',
    'assigned-secret api key': 'api_key: ' + _HEX[:32],
}  # fmt: skip
"""By the name of the rule that finds each; a second word tells variants apart."""


def heart(secret: str) -> str:
    """The part of a made-up secret that must be nowhere: its longest run of letters and digits."""
    runs = ''.join(char if char.isalnum() else ' ' for char in secret).split()
    return max(runs, key=len)


def traces(text: str, *, known: str = '') -> list[str]:
    """Name the made-up secrets of which a text holds any eight characters in a row, and a variable's value likewise.

    Args:
        text: What is searched.
        known: The value of a variable, which is looked for as text, in URLs and in base64.
    """
    found = [name for name, secret in SECRETS.items() if _any_of(heart(secret), text, width=8)]
    spelt = [known, quote(known, safe=''), quote_plus(known)]
    inside = [b64encode(b'u' * width + known.encode()).decode()[4:-4] for width in range(3)]
    found += [f'variable: {one}' for one in spelt if _any_of(one, text, width=12)]
    return found + [f'base64: {one}' for one in inside if _any_of(one, text, width=12)]


def _any_of(secret: str, text: str, *, width: int) -> bool:
    return bool(secret) and any(secret[at : at + width] in text for at in range(max(1, len(secret) - width + 1)))
