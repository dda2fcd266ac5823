// Certificates made for one test: an authority and the certificates it signs. They are removed with the test's folder.

import { webcrypto } from 'node:crypto'
import type { X509Certificate } from '@peculiar/x509'

const DAY_MS = 86_400_000
const KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** PEM texts. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

export interface TestAuthority {
  readonly cert: string
  /** Signs a certificate; `cn` becomes its common name, and 127.0.0.1 its address. */
  sign(cn: string): Promise<KeyPair>
}

/** Makes an authority of its own. */
export async function openAuthority(cn: string): Promise<TestAuthority> {
  const x509 = await loadX509()
  const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify'])
  const name = `CN=${cn}`
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    ...validity(),
    keys,
    signingAlgorithm: KEY,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    cert: pemOf(authority),
    async sign(subject) {
      const own = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify'])
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: name,
        ...validity(),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: KEY,
        extensions: [
          new x509.BasicConstraintsExtension(false),
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
          new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      })
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey))
      const lines = pkcs8.toString('base64').match(/.{1,64}/g) ?? []
      const key = ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join(
        '\n',
      )
      return { cert: pemOf(certificate), key }
    },
  }
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) }
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

/** The package's dependency-injection container needs decorator metadata, which none of its classes here has. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  const reflect = Reflect as {
    getMetadata?: unknown
    getOwnMetadata?: unknown
    defineMetadata?: unknown
  }
  reflect.getMetadata ??= () => undefined
  reflect.getOwnMetadata ??= () => undefined
  reflect.defineMetadata ??= () => undefined
  return import('@peculiar/x509')
}
