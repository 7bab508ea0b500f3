#!/bin/sh
# Makes the messages of this folder anew: what `openssl cms` 3.0 writes, by BER and by DER. Run it in this folder.
set -eu
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
printf 'what is signed, and what is encrypted' > "$work/content"
for name in ec rsa; do
    case $name in
    ec) key="-newkey ec -pkeyopt ec_paramgen_curve:P-256" ;;
    rsa) key="-newkey rsa:2048" ;;
    esac
    # shellcheck disable=SC2086 # words on purpose
    openssl req -x509 $key -nodes -keyout "$work/$name.key" -out "$work/$name.pem" -subj "/CN=$name" -days 3650
done
cms() {
    out=$1
    shift
    openssl cms "$@" -in "$work/content" -binary -outform DER -out "$out.cms"
}
ec="-signer $work/ec.pem -inkey $work/ec.key"
rsa="-signer $work/rsa.pem -inkey $work/rsa.key"
# shellcheck disable=SC2086
{
    cms signed-ec -sign -nodetach -md sha256 $ec
    cms signed-ec-keyid -sign -nodetach -md sha256 -keyid -nocerts $ec
    cms signed-ec-ber -sign -nodetach -stream -indef -md sha256 $ec
    cms signed-no-attributes -sign -nodetach -noattr -md sha512 $ec
    cms signed-rsa-pss -sign -nodetach -md sha256 $rsa -keyopt rsa_padding_mode:pss
    cms signed-twice -sign -nodetach -md sha256 $ec $rsa
    cms signed-detached -sign -md sha256 $ec
}
cms enveloped-rsa -encrypt -aes256 -recip "$work/rsa.pem"
cms enveloped-rsa-oaep-ber -encrypt -aes128 -stream -indef -recip "$work/rsa.pem" -keyopt rsa_padding_mode:oaep
cms enveloped-ec -encrypt -aes256 -recip "$work/ec.pem"
cms enveloped-password -encrypt -aes256 -pwri_password secret
cms enveloped-keyid -encrypt -aes256 -keyid -recip "$work/rsa.pem"
cms enveloped-gcm -encrypt -aes-256-gcm -recip "$work/rsa.pem"
openssl crl2pkcs7 -nocrl -certfile "$work/ec.pem" -certfile "$work/rsa.pem" -outform DER -out certs-only.cms
