using System.Text;
using Frusta.Contracts.Entities;
using Frusta.Controller.Identities;

namespace Frusta.Controller.Tests.Identities;

public sealed class AuthenticateTests
{
    private const string Uuid = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";
    private const string Key = "123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";

    private static readonly string Header = HeaderOf($"{Uuid}:{Key}");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string?[] Refused =>
        [null, "", "Bearer abc", "Basic", "Basic !", HeaderOf(Uuid), HeaderOf($"{Uuid}:short"), HeaderOf($"{Uuid}:{Key.ToLowerInvariant()}"), HeaderOf($"other:{Key}")];

    [Fact]
    public async Task A_caller_without_a_key_that_is_known_is_told_401()
    {
        var authenticate = new Authenticate(InMemory().FindAsync);
        foreach (var authorization in Refused)
        {
            Assert.False((await authenticate.IdentifyAsync(authorization, Cancellation)).TryGet(out _, out var refusal));
            Assert.Equal((401, "WWW-Authenticate"), (refusal.Status, refusal.Header?.Name));
        }
    }

    [Fact]
    public async Task An_identity_in_memory_is_found_at_once_and_costs_no_allocation()
    {
        const int Calls = 1000;
        var authenticate = new Authenticate(InMemory().FindAsync);
        Assert.True((await authenticate.IdentifyAsync(Header, Cancellation)).TryGet(out _, out _));

        var before = GC.GetAllocatedBytesForCurrentThread();
        var found = 0;
        for (var i = 0; i < Calls; i++)
        {
            found += (await authenticate.IdentifyAsync(Header, Cancellation)).TryGet(out _, out _) ? 1 : 0;
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, Calls);
        Assert.Equal(Calls, found);
    }

    [Fact]
    public async Task An_identity_that_comes_from_afar_is_waited_for()
    {
        var store = new TaskCompletionSource<Identity?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var authenticate = new Authenticate((uuid, key, _) =>
        {
            Assert.Equal((Uuid, Key), (uuid.ToString(), Encoding.ASCII.GetString(key)));
            return new(store.Task);
        });

        var identifying = authenticate.IdentifyAsync(Header, Cancellation);
        Assert.False(identifying.IsCompleted);
        store.SetResult(new Identity("acme", "acme", Uuid, Key, new NamespaceLimits()));

        Assert.True((await identifying).TryGet(out var identity, out _));
        Assert.Equal("acme", identity.NamespaceName);
    }

    private static Subjects InMemory()
    {
        Assert.Null(Subjects.Read(new Dictionary<string, string>(StringComparer.Ordinal) { ["acme"] = $"{Uuid}:{Key}" }, withStock: false, out var subjects));
        return subjects!;
    }

    private static string HeaderOf(string pair) => "Basic " + Convert.ToBase64String(Encoding.ASCII.GetBytes(pair));
}
