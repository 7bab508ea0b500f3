"""SCEP for devices that Microsoft Intune manages: Intune says who may enroll, and hears what became of it.

device -> PKCSReq with the challenge that Intune gave it        :mod:`protocols.scep.intune.authorizer`
          validateRequest, and only after Success the CA is asked
device <- certificate
          successNotification, kept until Intune has it         :mod:`protocols.scep.intune.notifications`

Every quarter of an hour: which certificates to revoke, and what came of it   :mod:`protocols.scep.intune.revocations`
"""
