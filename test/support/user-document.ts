/** The files of the user's documentation, as it has them, and what kubectl prints of them. */
export const BGPPEER_YAML = `apiVersion: network.openyurt.io/v1alpha1
kind: BGPPeer
metadata:
  name: peer
spec:
  localSpeakers:
  - node-1
  - node-2
  localAsNumber: 65010
  peerIP: 172.16.0.1
  peerAsNumber: 65001
  nodeSelector: alibabacloud.com/nodepool-id=npxxx
  # Optional.
  authPassword:
    secretKeyRef:
      name: bgp-secret
      key: password
`
export const SECRET_YAML = `# Optional.
apiVersion: v1
kind: Secret
metadata:
  name: bgp-secret
  namespace: kube-system
type: Opaque
data:
  password: bXlTZWNyZXRWYWx1ZQ== # The value is encoded in Base64.
`
export const PASSWORD = 'mySecretValue'
export const USER_DOCUMENT = `${BGPPEER_YAML}---\n${SECRET_YAML}`

/** The columns of `kubectl get bgppeer`. */
export const COLUMNS = ['NAME', 'LOCALSPEAKERS', 'LOCALASNUMBER', 'PEERIP', 'PEERASNUMBER', 'AGE']
