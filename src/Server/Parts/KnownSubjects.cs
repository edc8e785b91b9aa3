using System.Net;
using Frusta.Controller.Identities;
using Frusta.Server.Configuration;

namespace Frusta.Server.Parts;

/// <summary>The subjects that may call the server: from outside, and from its own sandboxes.</summary>
/// <param name="Outside">The subjects that may call from outside.</param>
/// <param name="Inside">
/// The subjects that may call from sandboxes. The stock keys are publicly known, so with them a function of a further subject could act as another
/// namespace: they are let in from sandboxes only where there are no further subjects, or where the operator allows it.
/// </param>
/// <param name="WithStock">True where the stock keys are let in from outside.</param>
/// <param name="Differ">True where the stock keys are let in from outside but not from sandboxes.</param>
internal sealed record KnownSubjects(Subjects Outside, Subjects Inside, bool WithStock, bool Differ)
{
    /// <exception cref="StartRefusedException">A subject is not written as UUID:KEY; the message names it.</exception>
    public static KnownSubjects Read(FrustaOptions options)
    {
        var allowed = options.Server.AllowStockKeys;
        var withStock = IPAddress.IsLoopback(IPAddress.Parse(options.Server.Host)) || allowed;
        if (Subjects.Read(options.Subjects, withStock, out var outside) is { } problem)
        {
            throw new StartRefusedException(problem);
        }

        Subjects.Read(options.Subjects, options.Subjects.Count == 0 || allowed, out var inside);
        return new KnownSubjects(outside!, inside!, withStock, withStock && options.Subjects.Count > 0 && !allowed);
    }
}
