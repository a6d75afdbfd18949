// Passkeys: registers one, and has it sign a decision. What is signed is the
// same statement that the command line signs (docs/approvals.md); the challenge
// is its SHA-256. Without this file, the command line does both.
"use strict";

(() => {
  const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
  const url64 = (bytes) => base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const bytes64 = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const canonical = (value) => {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (value === null || typeof value !== "object") return JSON.stringify(value);
    const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
    return `{${members.join(",")}}`;
  };
  const digest = (domain, value) =>
    crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${domain}\n${canonical(value)}`));
  const hex = (bytes) => [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");

  const signed = async (credential, challenge) => {
    const made = await navigator.credentials.get({
      publicKey: {
        challenge,
        allowCredentials: [{ type: "public-key", id: bytes64(credential) }],
        userVerification: "required",
      },
    });
    const { signature, authenticatorData, clientDataJSON } = made.response;
    const assertion = { authenticator_data: base64(authenticatorData), client_data: base64(clientDataJSON) };
    return { signature: base64(signature), assertion };
  };

  // -7 is ES256, -8 Ed25519; their keys are the last bytes of the SPKI.
  const ALGORITHMS = { "-7": ["passkey-es256", 65], "-8": ["passkey-ed25519", 32] };
  const register = async (form) => {
    const { principal, tenant } = form.dataset;
    const csrf = form.elements.csrf.value;
    const name = form.elements.name.value.trim();
    const made = await navigator.credentials.create({
      publicKey: {
        rp: { name: "writ" },
        user: { id: crypto.getRandomValues(new Uint8Array(32)), name, displayName: name },
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        pubKeyCredParams: Object.keys(ALGORITHMS).map((alg) => ({ type: "public-key", alg: Number(alg) })),
        authenticatorSelection: { userVerification: "required" },
        attestation: "none",
      },
    });
    const [algorithm, length] = ALGORITHMS[made.response.getPublicKeyAlgorithm()];
    const key = {
      algorithm,
      public_key: base64(made.response.getPublicKey().slice(-length)),
      passkey: { credential: url64(made.rawId), origin: location.origin },
    };
    const id = `sgk_${hex(await digest("writ.signing-key.v1", key))}`;
    const challenge = await digest("writ.signing-key-possession.v1", { key: id, principal, tenant });
    const proof = await signed(key.passkey.credential, challenge);
    const answer = await fetch("/v1/signing-keys", {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": csrf },
      body: JSON.stringify({ ...key, name, proof: proof.signature, assertion: proof.assertion }),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    location.assign("/signing-keys?done=key_registered");
  };

  const sign = async (form) => {
    const chosen = form.querySelector("[data-keys]").selectedOptions[0];
    const statement = {
      ...JSON.parse(form.dataset.statement),
      key: chosen.value,
      made_at: new Date().toISOString().replace("Z", "000Z"),
      reason: form.elements.reason.value.trim() || null,
    };
    const behalf = form.elements.on_behalf_of?.value;
    if (behalf) statement.on_behalf_of = behalf;
    const challenge = await digest("writ.decision.v1", statement);
    const made = await signed(chosen.dataset.credential, challenge);
    form.elements.signed.value = JSON.stringify({ statement, signature: made.signature, passkey: made.assertion });
    form.submit();
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const work = { register, sign }[form.dataset.passkey];
    if (!work) return;
    event.preventDefault();
    const fault = form.querySelector(".fault");
    fault.hidden = true;
    work(form).catch((error) => {
      fault.textContent = `Nothing was signed: ${error.message}`;
      fault.hidden = false;
      delete form.dataset.sent;
    });
  });
})();
