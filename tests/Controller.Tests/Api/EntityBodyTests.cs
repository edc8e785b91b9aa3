using System.Text;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Controller.Api;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Tests.Api;

/// <summary>What reading a body holds, and that all of it is given back on every way out.</summary>
public sealed class EntityBodyTests : IDisposable
{
    private const int Mebibyte = 1024 * 1024;

    private readonly ByteBudget _budget = new(new ByteBudgetOptions { MaxBytes = 256 * Mebibyte, MaxSmallBytes = 16 * Mebibyte });
    private readonly JsonWorkers _workers = new(new LargeJsonOptions { Threads = 2, MaxWaiting = 8 }, "test");

    public void Dispose() => _workers.Dispose();

    /// <summary>As one that memory runs out for, which nothing here expects.</summary>
    [Fact]
    public async Task A_reading_that_fails_unexpectedly_gives_its_thread_and_its_bytes_back()
    {
        var body = """{"exec":{"kind":"nodejs:20","code":"CODE"}}""".Replace("CODE", new string('x', 200_000), StringComparison.Ordinal);
        for (var i = 0; i < 3; i++)
        {
            var reading = ReadAsync(manifest: null!).AsTask();
            await Assert.ThrowsAsync<NullReferenceException>(() => reading.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken));
            Assert.Equal(0, _budget.HeldBytes);
        }

        var (read, refusal) = await ReadAsync(RuntimesManifest.Stock);
        Assert.Null(refusal);
        read!.Dispose();
        Assert.Equal(0, _budget.HeldBytes);

        ValueTask<(EntityBody? Body, ApiAnswer? Refusal)> ReadAsync(RuntimesManifest manifest) =>
            _workers.RunAsync("acme", () => EntityBody.ReadAsync(Call(body), new LimitsOptions(), manifest));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("{\"annotations\": [{\"key\": \"a\", \"value\": \"\\ud800\"}]}")]
    [InlineData("{\"\\ud800\": 1}")]
    [InlineData("{\"version\": \"\\udc00\"}")]
    public async Task A_body_that_is_no_text_is_refused_in_words_of_our_own(string body)
    {
        var (read, refusal) = await EntityBody.ReadAsync(Call(body), new LimitsOptions(), RuntimesManifest.Stock);

        Assert.Null(read);
        Assert.Equal(400, refusal!.Status);
        Assert.Matches(@"\AThe request content was malformed:\nIt is not [^']*\z", refusal.ErrorText);
        Assert.Equal(0, _budget.HeldBytes);
    }

    private ApiCall Call(string body)
    {
        var context = new DefaultHttpContext();
        var bytes = Encoding.UTF8.GetBytes(body);
        context.Request.ContentType = "application/json";
        context.Request.Body = new MemoryStream(bytes);
        context.Request.ContentLength = bytes.Length;
        var caller = new Identity("acme", "acme", "acme", "", new NamespaceLimits());
        return new ApiCall(context, caller, "1", extraLogging: false, new RequestBodies(_budget, _workers), _budget.Of("acme"));
    }
}
