/**
 * ISO 4217 active codes and their exponents (number of digits after the decimal separator).
 * Source: ISO 4217:2015 list one, amendments to 179 included (XCG in place of ANG, ZWG in place of ZWL, SLE in
 * place of SLL, BGN withdrawn on 2026-01-01). Metals, funds codes and testing codes are left out: no account is
 * kept in them.
 */
const codesByExponent: Record<number, string> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF',
  2:
    'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC ' +
    'CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR ' +
    'JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD ' +
    'NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN ' +
    'SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG',
  3: 'BHD IQD JOD KWD LYD OMR TND',
};

const exponents = new Map<string, number>(
  Object.entries(codesByExponent).flatMap(([exponent, codes]) =>
    codes.split(' ').map((code): [string, number] => [code, Number(exponent)]),
  ),
);

/** Digits after the decimal separator of a currency, or undefined if ISO 4217 does not list the code. */
export function findExponent(currency: string): number | undefined {
  return exponents.get(currency);
}

/** Codes of the currencies that have so many digits after the decimal separator. */
export function currenciesWith(exponent: number): string[] {
  return codesByExponent[exponent]?.split(' ') ?? [];
}
