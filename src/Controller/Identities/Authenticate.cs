using System.Buffers.Text;
using System.Text;
using Frusta.Contracts.Entities;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Identities;

/// <summary>Finds the identity of a request from its <c>Authorization</c> header.</summary>
public sealed class Authenticate(FindIdentity find)
{
    /// <summary>The most bytes of a pair of a uuid and a key; a longer one belongs to no subject.</summary>
    private const int MaxPairBytes = 1024;

    private const string Scheme = "Basic ";

    private static readonly (string, string) Challenge = ("WWW-Authenticate", "Basic realm=\"OpenWhisk secure realm\",charset=UTF-8");

    /// <summary>Finds the identity, or the 401 that says why there is none. Allocates nothing when it is found at once.</summary>
    /// <param name="authorization">The header.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal ValueTask<Reading<Identity>> IdentifyAsync(string? authorization, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(authorization) || !authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return new(new Refusal(401, ApiTexts.NoCredentials) { Header = Challenge });
        }

        var finding = FindAsync(authorization.AsSpan(Scheme.Length).Trim(), cancellationToken);
        if (finding.IsCompletedSuccessfully)
        {
            return new(Judge(finding.GetAwaiter().GetResult()));
        }

        return WaitAsync(finding);

        static async ValueTask<Reading<Identity>> WaitAsync(ValueTask<Identity?> finding) => Judge(await finding);
    }

    private static Reading<Identity> Judge(Identity? identity) =>
        identity is not null ? identity : new Refusal(401, ApiTexts.BadCredentials) { Header = Challenge };

    private ValueTask<Identity?> FindAsync(ReadOnlySpan<char> base64, CancellationToken cancellationToken)
    {
        if (base64.Length > MaxPairBytes || !Base64.IsValid(base64))
        {
            return default;
        }

        Span<byte> pair = stackalloc byte[MaxPairBytes];
        if (!Convert.TryFromBase64Chars(base64, pair, out var length))
        {
            return default;
        }

        pair = pair[..length];
        var colon = pair.IndexOf((byte)':');
        if (colon < 0 || pair.Length - colon - 1 != Subjects.KeyLength)
        {
            return default;
        }

        Span<char> uuid = stackalloc char[MaxPairBytes];
        return Encoding.UTF8.TryGetChars(pair[..colon], uuid, out var characters)
            ? find(uuid[..characters], pair[(colon + 1)..], cancellationToken)
            : default;
    }
}
