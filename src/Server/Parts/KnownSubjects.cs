using System.Net;
using Frusta.Controller.Identities;
using Frusta.Server.Configuration;

namespace Frusta.Server.Parts;

/// <summary>Who may call the server: from outside, and from its own sandboxes.</summary>
/// <param name="Outside">Callers of the API.</param>
/// <param name="Inside">
/// Callers in sandboxes. Everybody knows the stock keys, so that a function of a further subject could act as another namespace with them; where
/// there are no further subjects they are all that a function can be given.
/// </param>
/// <param name="WithStock">True where the stock keys are let in from outside.</param>
/// <param name="Differ">True where the stock keys are let in from outside and not from sandboxes.</param>
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
