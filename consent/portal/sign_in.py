"""Signing in by a code, and signing out."""

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from consent.portal import visits
from consent.portal.forms import AddressForm, CodeForm
from consent.portal.pages import private, shown
from consent.services import sign_in


@require_http_methods(["GET", "HEAD", "POST"])
@private
def ask(request: HttpRequest) -> HttpResponse:
    """Take an address and send it a code; what follows looks the same for every address."""
    form = AddressForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return shown(request, "sign_in", {"form": form}, status=400 if form.is_bound else 200)
    address = form.cleaned_data["address"]
    browser = sign_in.start(address=address, client=visits.client_of(request))
    visits.begin(request, address=address, browser=browser)
    return redirect("portal:code")


@require_http_methods(["GET", "HEAD", "POST"])
@private
def answer(request: HttpRequest) -> HttpResponse:
    """Take the code and let the person in."""
    browser = visits.browser_of(request)
    if browser is None:
        return redirect("portal:me" if visits.visitor(request) else "portal:sign-in")
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            sign_in.redeem(browser=browser, code=form.cleaned_data["code"])
        except sign_in.CodeRefusedError:
            form.add_error(
                "code",
                "This code does not let you in. It may be mistyped, already used, older than ten "
                "minutes, or tried too often. If it goes on like this, ask for a new one.",
            )
        else:
            visits.enter(request)
            rotate_token(request)
            return redirect("portal:me")
    context = {"form": form, "address": visits.address_of(request)}
    return shown(request, "code", context, status=400 if form.is_bound else 200)


@require_POST
@private
def leave(request: HttpRequest) -> HttpResponse:
    """Sign out."""
    visits.leave(request)
    return redirect("portal:front")
