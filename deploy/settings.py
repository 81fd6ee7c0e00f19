"""Every setting of the service, in one file, from the environment or with a safe default."""

from pathlib import Path

from deploy import environment
from governance.crypto import derive

BASE_DIR = Path(__file__).resolve().parent.parent

COLOPHON_MASTER_KEY = environment.master_key()
SECRET_KEY = derive(COLOPHON_MASTER_KEY, "django-secret").hex()
DEBUG = False
ALLOWED_HOSTS = environment.words("COLOPHON_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environment.words("COLOPHON_ORIGINS", "")
BEHIND_TLS = environment.flag("COLOPHON_TLS", default=False)
PUBLIC_URL = environment.text("COLOPHON_PUBLIC_URL", "http://localhost:8000")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "graphene_django",
    "governance",
    "lineage",
    "consent",
    "deploy",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "deploy.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "deploy.urls"
WSGI_APPLICATION = "deploy.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a client's POST into an empty GET
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": environment.database()}
REDIS_URL = environment.required(
    "REDIS_URL",
    "Start through `sh deploy/run`, which brings a Valkey of its own, or set it to yours: "
    "redis://host:6379/0",
)

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
WHITENOISE_USE_FINDERS = True  # served from where they lie: nothing to collect
WHITENOISE_AUTOREFRESH = False

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 30 * 60
SESSION_SAVE_EVERY_REQUEST = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

EMAIL_HOST = environment.text("COLOPHON_SMTP_HOST", "")
EMAIL_PORT = environment.number("COLOPHON_SMTP_PORT", 587)
EMAIL_HOST_USER = environment.text("COLOPHON_SMTP_USER", "")
EMAIL_HOST_PASSWORD = environment.text("COLOPHON_SMTP_PASSWORD", "")
EMAIL_USE_TLS = environment.flag("COLOPHON_SMTP_TLS", default=True)
DEFAULT_FROM_EMAIL = environment.text("COLOPHON_MAIL_FROM", "colophon@localhost")
EMAIL_TIMEOUT = 20
EMAIL_FILE_PATH = environment.text("COLOPHON_MAIL_DIR", str(BASE_DIR / ".colophon" / "mail"))
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_HOST
    else "django.core.mail.backends.filebased.EmailBackend"
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["governance.api.authentication.BearerKey"],
    "DEFAULT_PERMISSION_CLASSES": ["governance.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["governance.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "governance.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # `format` is a question's own word
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Colophon",
    "DESCRIPTION": "Which data made this model, under whose permission, "
    "and what happened when somebody said no.",
    "VERSION": "0.1.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "StorageKind": "governance.models.Storage.Kind",
        "WebhookKind": "governance.models.WebhookKind",
        "GateReason": "consent.models.GateDecision.Reason",
        "AssessmentReason": "consent.models.UseAssessment.Reason",
        "RequestState": [
            "received",
            "verified",
            "review",
            "refused",
            "erasing",
            "verifying",
            "completed",
            "joined",
        ],
        "RemedyState": ["open", "mitigated", "unapproved", "retiring", "closed"],
        "NoticeState": ["waiting", "given_up", "delivered", "accepted", "lapsed", "ended"],
        "RequestSource": ["person", "guardian", "delegate", "operator"],
        "SourceEnum": ["person", "guardian", "delegate", "operator", "import", "signal"],
        "StateEnum": ["ready", "done", "dead"],
        "DecisionKind": ["given", "renewed", "refused", "objected", "withdrawn"],
    },
}
GRAPHENE = {"SCHEMA": "deploy.schema.schema"}

# PostgreSQL is the record of all work; Celery carries ids and may lose them.
CELERY_BROKER_URL = environment.broker(REDIS_URL)
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
}

COLOPHON_INBOX_LIMIT = environment.number("COLOPHON_INBOX_LIMIT", 500_000)
COLOPHON_EVENT_BYTES = environment.number("COLOPHON_EVENT_BYTES", 1024 * 1024)
COLOPHON_BATCH_BYTES = environment.number("COLOPHON_BATCH_BYTES", 32 * 1024 * 1024)
COLOPHON_RAW_DAYS = environment.number("COLOPHON_RAW_DAYS", 90)
COLOPHON_RETENTION_MONTHS = environment.number("COLOPHON_RETENTION_MONTHS", 0)  # 0 keeps all
# Webhooks may go to plain http and to addresses of the local network only where this is said.
COLOPHON_PRIVATE_WEBHOOKS = environment.flag("COLOPHON_PRIVATE_WEBHOOKS", default=False)
# For what must not come back with a backup: the journal of erasures, the ledger's last signed head.
COLOPHON_JOURNAL_DIR = environment.text(
    "COLOPHON_JOURNAL_DIR", str(BASE_DIR / ".colophon" / "journal")
)
COLOPHON_LEASE_SECONDS = environment.number("COLOPHON_LEASE_SECONDS", 60)
# By whose clock rights requests run where nobody says otherwise, whose days and months those are,
# and who is reminded of what is due.
COLOPHON_LAW = environment.choice("COLOPHON_LAW", "gdpr", ["gdpr", "cpra"])
COLOPHON_LEGAL_ZONE = environment.time_zone("COLOPHON_LEGAL_ZONE", "UTC")
COLOPHON_OPERATOR_MAIL = environment.words("COLOPHON_OPERATOR_MAIL", "")
# Days for which the answer of somebody who received data is waited for, or delivery to them tried.
COLOPHON_RECIPIENT_DAYS = environment.number("COLOPHON_RECIPIENT_DAYS", 30)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": environment.text("COLOPHON_LOG_LEVEL", "INFO")},
    # Request lines would carry addresses and pages that say who looked at what.
    "loggers": {"django.server": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
}
