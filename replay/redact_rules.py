"""What secrets look like: formats of keys, names of fields and of environment variables. Data, no machine.

A format that is too wide costs readable cassettes, one that is too narrow costs a key; so every format has a prefix or
a context of its own, and values that only look random are left alone.
"""

import re
from typing import NamedTuple

__all__ = ('COMMON', 'FIELDS', 'FORMATS', 'LOOSE_FIELDS', 'VARIABLES', 'Rule')


class Rule(NamedTuple):
    """How one kind of secret is found in a text."""

    name: str
    """Stands in the stand-in: `openai-key`."""
    pattern: re.Pattern[str]
    """The secret is its group `secret`, or all of what matches."""
    anchors: tuple[str, ...]
    """Lower-case texts of which a text that matches holds at least one; none: any text may match."""


# Not inside a word, but after an escape of JSON in text (`\n`) or of a URL (`%20`).
_START = r'(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9a-fA-F]{2}))'
# In front of digits or letters alone, which base64 may hold by chance.
_ALONE = r'(?:(?<![A-Za-z0-9_/+-])|(?<=\\[nrtbf])|(?<=%[0-9a-fA-F]{2}))'
_END = r'(?![A-Za-z0-9])'


_TWO_WORDS = (
    ('api', 'key'),
    ('secret', 'key'),
    ('client', 'secret'),
    ('access', 'token'),
    ('auth', 'token'),
    ('refresh', 'token'),
)


def _rule(name: str, pattern: str, *anchors: str) -> Rule:
    return Rule(name, re.compile(pattern), anchors)


FORMATS: tuple[Rule, ...] = (
    _rule(
        'private-key',
        r'-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?'
        r'(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)',
        'private key',
    ),
    _rule('anthropic-key', _START + r'sk-ant-[A-Za-z0-9_-]{12,}', 'sk-ant-'),
    _rule('openrouter-key', _START + r'sk-or-[A-Za-z0-9_-]{16,}', 'sk-or-'),
    _rule('langfuse-key', _START + r'sk-lf-[0-9a-f-]{32,}', 'sk-lf-'),
    _rule(
        'openai-key',
        _START + r'sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,}'
        r'|(?:[A-Za-z]+[-_])+(?=[A-Za-z0-9_]*[0-9])[A-Za-z0-9_]{16,})',
        'sk-',
    ),
    _rule('google-api-key', _ALONE + r'AIza[A-Za-z0-9_-]{35}', 'aiza'),
    _rule('google-oauth-token', _ALONE + r'ya29\.[A-Za-z0-9_-]{20,}', 'ya29.'),
    _rule('google-oauth-secret', _START + r'GOCSPX-[A-Za-z0-9_-]{20,}', 'gocspx-'),
    _rule('aws-access-key-id', _ALONE + r'(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}' + _END, 'akia', 'asia', 'abia', 'acca'),
    _rule(
        'aws-secret-key',
        r'(?i:secret_?-?(?:access)?_?-?key)(?:\\[nrt]|[^A-Za-z0-9/+]){1,8}(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])',
        'secret',
    ),
    _rule(
        'aws-session-token',
        r'(?i:session_?-?token)(?:\\[nrt]|[^A-Za-z0-9/+]){1,8}(?P<secret>[A-Za-z0-9/+]{60,}={0,2})',
        'session',
    ),
    _rule(
        'github-token',
        _START + r'(?:gh[opsur]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})',
        'ghp_',
        'gho_',
        'ghu_',
        'ghs_',
        'ghr_',
        'github_pat_',
    ),
    _rule(
        'gitlab-token',
        _START + r'gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_.-]{20,}',
        'glpat-',
        'gldt-',
        'glrt-',
        'glcbt-',
        'glptt-',
        'glft-',
        'glsoat-',
        'glagent-',
    ),
    _rule('slack-token', _START + r'(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}', 'xox', 'xapp-'),
    _rule(
        'slack-webhook',
        r'hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9/_-]{20,})',
        'hooks.slack.com/',
    ),
    _rule(
        'discord-webhook',
        r'discord(?:app)?\.com/api/webhooks/(?P<secret>[0-9]+/[A-Za-z0-9_-]{20,})',
        '/api/webhooks/',
    ),
    _rule('stripe-key', _START + r'(?:[rsp]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}', '_live_', '_test_', 'whsec_'),
    _rule('huggingface-token', _START + r'(?:hf|api_org)_[A-Za-z0-9]{20,}', 'hf_', 'api_org_'),
    _rule('groq-key', _START + r'gsk_[A-Za-z0-9]{20,}', 'gsk_'),
    _rule('xai-key', _START + r'xai-[A-Za-z0-9]{20,}', 'xai-'),
    _rule('replicate-token', _START + r'r8_[A-Za-z0-9]{20,}', 'r8_'),
    _rule('perplexity-key', _START + r'pplx-[A-Za-z0-9]{20,}', 'pplx-'),
    _rule('nvidia-key', _START + r'nvapi-[A-Za-z0-9_-]{20,}', 'nvapi-'),
    _rule('tavily-key', _START + r'tvly-(?:[a-z]+-)?[A-Za-z0-9]{16,}', 'tvly-'),
    _rule('langsmith-key', _START + r'lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}', 'lsv2_'),
    _rule('logfire-token', _START + r'pylf_v[0-9]+_[a-z]{2}_[A-Za-z0-9]{20,}', 'pylf_v'),
    _rule('databricks-token', _ALONE + r'dapi[0-9a-f]{32}', 'dapi'),
    _rule('digitalocean-token', _START + r'do[opr]_v1_[0-9a-f]{40,}', '_v1_'),
    _rule('npm-token', _START + r'npm_[A-Za-z0-9]{30,}', 'npm_'),
    _rule('pypi-token', _START + r'pypi-AgE[A-Za-z0-9_-]{20,}', 'pypi-age'),
    _rule('sendgrid-key', _START + r'SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}', 'sg.'),
    _rule('mailgun-key', _START + r'key-[0-9a-f]{32}' + _END, 'key-'),
    _rule('telegram-token', r'(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}', ':aa'),
    _rule('shopify-token', _START + r'shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}', 'shpat_', 'shpca_', 'shppa_', 'shpss_'),
    _rule('linear-key', _START + r'lin_(?:api|oauth)_[A-Za-z0-9]{30,}', 'lin_'),
    _rule('notion-token', _START + r'(?:ntn|secret)_[A-Za-z0-9]{40,}', 'ntn_', 'secret_'),
    _rule('vault-token', _START + r'hv[sbr]\.[A-Za-z0-9_-]{20,}', 'hvs.', 'hvb.', 'hvr.'),
    _rule(
        'azure-client-secret',
        r'(?:(?<![A-Za-z0-9_~.-])|(?<=\\[nrtbf]))[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}',
        'q~',
    ),
    _rule(
        'azure-account-key',
        r'(?:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})',
        'accountkey=',
        'sharedaccesskey=',
    ),
    _rule(
        'signed-url',
        r'[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=(?P<secret>[A-Za-z0-9%+/=_-]{30,})',
        'sig=',
        'signature=',
    ),
    _rule('jwt', _START + r'eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?', '.eyj'),
    _rule(
        'bearer-token',
        r'(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))(?i:bearer)(?:\s|\\[nt]|%20)+(?P<secret>(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/-]{12,}={0,2})',
        'bearer',
    ),
    _rule(
        'basic-auth',
        r'(?i:authorization)[^A-Za-z0-9]{1,6}(?i:basic)(?:\s|\\[nt]|%20)+(?P<secret>[A-Za-z0-9+/]{8,}={0,2})',
        'authorization',
    ),
    _rule(
        'url-password',
        r"""://[^\s/:@"'<>\\]{0,64}:(?P<secret>(?![${])[^\s/@"'<>\\]{3,})@(?=[A-Za-z0-9\[])""",
        '://',
    ),
    _rule(
        'cookie',
        r'(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))(?i:(?:set-)?cookie):[ \t]*'
        r'(?P<secret>[A-Za-z0-9_.-]+=[^\s"\'<>\\]{8,}(?:;[ \t]*[^\s"\'<>\\]+)*)',
        'cookie:',
    ),
    _rule(
        'assigned-secret',
        r'(?i:api[_-]?key|secret[_-]?key|client[_-]?secret|access[_-]?token|auth[_-]?token|refresh[_-]?token|password'
        r"""|passwd|passphrase)(?:\\*["'])?[ \t]*[=:][ \t]*(?:\\*["'])?"""
        r"""(?P<secret>(?=[^\s"'\\,;&<>]{0,200}[0-9])(?=[^\s"'\\,;&<>]{0,200}[A-Za-z])[^\s"'\\,;&<>(){}$][^\s"'\\,;&<>(){}]{7,})""",
        *(f'{one}{joint}{other}' for one, other in _TWO_WORDS for joint in ('', '_', '-')),
        'passw',
        'passphrase',
    ),
)
"""The formats, the more special before the more general."""

FIELDS = re.compile(
    r'(?:authorization|api_?key|secret_?(?:access_?)?key|access_?key|private_?key|signing_?key|encryption_?key'
    r'|subscription_?key|account_?key|client_?secret|password|passwd|passphrase|access_?token|refresh_?token'
    r'|auth_?token|bearer_?token|session_?token|authorization_?token|cookie)\Z'
)
"""Names of fields, in lower case and with `_` for `-`, whose texts are secrets unless they are ordinary words."""

LOOSE_FIELDS = re.compile(
    r'(?:(?<!page_)(?<!next_)(?<!sync_)(?<!stop_)(?<!start_)token|secret|\Akey|auth|pwd|credentials?)\Z'
)
"""Names of fields whose texts are secrets if they look random too: tokens are words as well."""

VARIABLES = re.compile(
    r'(?:API_?KEY|ACCESS_?KEY(?:_ID)?|SECRET(?:_KEY(?:_BASE)?)?|PRIVATE_?KEY|[A-Z0-9]_KEY|TOKEN|PASSWORD|PASSWD|PASSPHRASE'
    r'|CREDENTIALS?|DATABASE_URL|CONNECTION_STRING|_DSN|_PAT|_PWD|WEBHOOK_URL)\Z'
    r'|(?:API_KEY|SECRET|PASSWORD|TOKEN)(?!S|IZ|_(?:FILE|PATH|URL|DIR|LIMIT|COUNT|TYPE|NAME|TTL))_'
)
"""Names of environment variables, in upper case, whose values are secrets."""

COMMON = frozenset(
    (
        'string', 'text', 'required', 'optional', 'none', 'null', 'true', 'false', 'undefined', 'unset', 'empty',
        'hidden', 'redacted', 'disabled', 'enabled', 'default', 'missing', 'invalid', 'unknown', 'basic', 'bearer',
        'digest', 'token', 'secret', 'password', 'passwd', 'apikey', 'api_key', 'api-key', 'changeme', 'change-me',
        'placeholder', 'example', 'localhost', 'postgres', 'postgresql', 'test', 'testing', 'production', 'staging',
        'development', 'admin', 'administrator', 'anonymous', 'username', 'your-api-key', 'your_api_key',
        '********', '12345678',
    )
)  # fmt: skip
"""Words, in lower case, that are no secret whatever holds them."""
