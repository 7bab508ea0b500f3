import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Set;
import javax.net.ssl.KeyManagerFactory;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.ChannelBindingProvider;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.jsse.BCSSLSocket;
import org.bouncycastle.jsse.provider.BouncyCastleJsseProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/**
 * Bouncy Castle's EST client: CA certificates, attributes, enrollment by password, by certificate, a key made there.
 *
 * <p>Arguments: HOST:PORT LABEL ROOT.PEM USER PASSWORD TLS-VERSION FOLDER. What it got is written to the folder.
 */
public class ESTConversation {
    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        String server = arguments[0], label = arguments[1], version = arguments[5];
        Path folder = Path.of(arguments[6]);
        X509Certificate root;
        try (var stream = Files.newInputStream(Path.of(arguments[2]))) {
            root = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(stream);
        }
        ESTAuth wrong = new JcaHttpAuthBuilder(arguments[3], "wrong".toCharArray()).build();
        ESTAuth right = new JcaHttpAuthBuilder(arguments[3], arguments[4].toCharArray()).build();
        ESTService anonymous = builder(server, root, version).withLabel(label).build();

        StringBuilder authorities = new StringBuilder();
        for (X509CertificateHolder each : ESTService.storeToArray(anonymous.getCACerts().getCertificateStore())) {
            authorities.append(pem(each));
        }
        Files.writeString(folder.resolve("ca.pem"), authorities);
        var attributes = anonymous.getCSRAttributes().getAttributesResponse();
        var extensions = PKCSObjectIdentifiers.pkcs_9_at_extensionRequest;
        System.out.println("extensionRequest " + attributes.hasRequirement(extensions));

        KeyPair key = newKey();
        PKCS10CertificationRequest request = request(key);
        try {
            anonymous.simpleEnroll(false, request, wrong);
            System.out.println("wrong password: 200");
        } catch (ESTException refused) {
            System.out.println("wrong password: " + refused.getStatusCode());
        }
        X509CertificateHolder first = only(anonymous.simpleEnroll(false, request, right));
        Files.writeString(folder.resolve("first.pem"), pem(first));

        KeyStore own = KeyStore.getInstance("PKCS12");
        own.load(null, null);
        X509Certificate converted = new JcaX509CertificateConverter().getCertificate(first);
        own.setKeyEntry("own", key.getPrivate(), new char[0], new Certificate[] {converted});
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, new char[0]);
        JsseESTServiceBuilder known = builder(server, root, version).withKeyManagers(keys.getKeyManagers());
        ESTService service = known.withLabel(label).build();
        Files.writeString(folder.resolve("second.pem"), pem(only(service.simpleEnroll(true, request, null))));

        EnrollmentResponse made = anonymous.simpleEnrollWithServersideCreation(request(newKey()), right);
        Files.writeString(folder.resolve("third.pem"), pem(only(made)));
        Files.write(folder.resolve("third.key"), made.getPrivateKeyInfo().getEncoded());

        if (version.equals("TLSv1.2")) { // this client knows tls-unique alone
            JsseESTServiceBuilder bound = builder(server, root, version).withProvider(new BouncyCastleJsseProvider());
            ESTService tied = bound.withChannelBindingProvider(new Connection()).withLabel("bound").build();
            var signer = new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate());
            EnrollmentResponse fourth = tied.simpleEnrollPoP(false, asked(key), signer, right);
            Files.writeString(folder.resolve("fourth.pem"), pem(only(fourth)));
        }
    }

    /** Tells the channel binding of Bouncy Castle's own TLS. */
    private static class Connection implements ChannelBindingProvider {
        @Override
        public boolean canAccessChannelBinding(Socket socket) {
            return socket instanceof BCSSLSocket;
        }

        @Override
        public byte[] getChannelBinding(Socket socket, String name) {
            return ((BCSSLSocket) socket).getConnection().getChannelBinding(name);
        }
    }

    private static JsseESTServiceBuilder builder(String server, X509Certificate root, String version) throws Exception {
        var trust = JcaJceUtils.getCertPathTrustManager(Set.of(new TrustAnchor(root, null)), null);
        return new JsseESTServiceBuilder(server, trust).withTLSVersion(version).withTimeout(60_000);
    }

    private static KeyPair newKey() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        return generator.generateKeyPair();
    }

    private static PKCS10CertificationRequest request(KeyPair key) throws Exception {
        return asked(key).build(new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate()));
    }

    private static JcaPKCS10CertificationRequestBuilder asked(KeyPair key) throws Exception {
        ExtensionsGenerator extensions = new ExtensionsGenerator();
        GeneralName name = new GeneralName(GeneralName.dNSName, "castle.example.test");
        extensions.addExtension(Extension.subjectAlternativeName, false, new GeneralNames(name));
        var builder = new JcaPKCS10CertificationRequestBuilder(new X500Principal("CN=castle"), key.getPublic());
        builder.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, extensions.generate());
        return builder;
    }

    private static X509CertificateHolder only(EnrollmentResponse response) {
        X509CertificateHolder[] all = ESTService.storeToArray(response.getStore());
        if (all.length != 1) {
            throw new IllegalStateException(all.length + " certificates");
        }
        return all[0];
    }

    private static String pem(X509CertificateHolder certificate) throws Exception {
        String text = java.util.Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(certificate.getEncoded());
        return "-----BEGIN CERTIFICATE-----\n" + text + "\n-----END CERTIFICATE-----\n";
    }
}
