#!/bin/sh
# Makes the messages of this folder: what `openssl cmp` (3.0.22) and its mock server say to each other; not pollRep,
# which openssl does not save, and some end in a refusal, which is meant.
# Names: CASE-NUMBER-req.der and CASE-NUMBER-rsp.der; the password of mac-* is "corpus-password".
set -eu
corpus=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 36500 \
    -subj "/O=Corpus/CN=CA" 2>/dev/null
certificate() { # name, CN, options of genpkey
    name=$1 cn=$2
    shift 2
    openssl genpkey -out "$name.key" "$@" 2>/dev/null
    openssl req -new -key "$name.key" -out "$name.csr" -subj "/O=Corpus/CN=$cn" -addext keyUsage=digitalSignature \
        -addext subjectKeyIdentifier=hash
    openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 36500 -copy_extensions copy \
        -out "$name.crt" 2>/dev/null
}
p256="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
certificate server "CMP Server" $p256
certificate client Client $p256
certificate new New $p256

conversation() { # case, options...
    case=$1
    shift
    requests= responses=
    for number in 1 2 3 4; do
        requests="$requests,$corpus/$case-$number-req.der"
        responses="$responses,$corpus/$case-$number-rsp.der"
    done
    openssl cmp -config "" -batch -verbosity 3 -use_mock_srv -reqout "${requests#,}" -rspout "${responses#,}" \
        -recipient "/O=Corpus/CN=CMP Server" -rsp_cert new.crt -certout out.crt "$@" || echo "$case: refused"
}
mac() {
    case=$1
    shift
    conversation "mac-$case" -ref corpus -secret pass:corpus-password -srv_ref corpus -srv_secret pass:corpus-password "$@"
}
signed() {
    case=$1
    shift
    conversation "signed-$case" -cert client.crt -key client.key -srvcert server.crt \
        -srv_cert server.crt -srv_key server.key -srv_trusted ca.crt -trusted ca.crt "$@"
}
request="-newkey new.key -subject /O=Corpus/CN=New"

mac ir -cmd ir $request -mac hmacWithSHA256 -digest sha256 -sans "www.example.com" -days 30
mac ir-sha1 -cmd ir $request -implicit_confirm -grant_implicitconf -rsp_capubs server.crt
mac genm -cmd genm -infotype signKeyPairTypes -geninfo 1.2.3:int:7
mac p10cr -cmd p10cr -csr new.csr -mac hmacWithSHA512 -digest sha512
mac poll -cmd ir $request -poll_count 1 -check_after 1
mac rejected -cmd cr $request -pkistatus 2 -failurebits 67108865 -statusstring "no such thing"
mac error -cmd ir $request -send_error -pkistatus 2 -failure 25 -statusstring "broken"
signed ir -cmd ir $request -rsp_capubs server.crt -extracerts server.crt -rsp_extracerts client.crt
signed cr -cmd cr $request -digest sha384
signed kur -cmd kur -newkey new.key -oldcert new.crt
signed rr -cmd rr -oldcert new.crt -revreason 1
signed p10cr -cmd p10cr -csr new.csr
signed genm -cmd genm
signed unprotected -cmd ir $request -unprotected_requests -accept_unprotected -send_unprotected -unprotected_errors
certificate client RSA -algorithm RSA -pkeyopt rsa_keygen_bits:2048
signed genm-rsa -cmd genm
