using Frusta.Contracts.Buffers;
using Frusta.Controller.Invocation;
using Frusta.Store.Activations;

namespace Frusta.Controller.Api;

/// <summary>A list of activations, whose records are read a page at a time while the list is sent.</summary>
/// <param name="store">Reads the records; no reader of the store waits for the client.</param>
/// <param name="pages">The records of the list, page by page.</param>
/// <param name="whole">True for whole records, false for their summaries, for which the logs are not read.</param>
internal sealed class ActivationList(IActivationStore store, List<ArraySegment<RecordLocation>> pages, bool whole) : AnswerParts
{
    private int _pagesRead;
    private RecordPage? _page;
    private int _record;
    private bool _hasEntries;

    public override async ValueTask<AnswerPart> NextAsync(PooledBuffer window, CancellationToken cancellationToken)
    {
        if (_page is null || _record == _page.Count)
        {
            if (_pagesRead == 0)
            {
                window.Write("["u8);
            }

            _page?.Dispose();
            _page = null;
            if (_pagesRead == pages.Count)
            {
                window.Write("]"u8);
                return new AnswerPart(default, IsText: false, IsLast: true);
            }

            _page = await store.ReadAsync(pages[_pagesRead++], cancellationToken);
            _record = 0;
            return default;
        }

        window.Write(_hasEntries ? ","u8 : []);
        _hasEntries = true;
        var record = _page[_record++];
        if (whole)
        {
            return new AnswerPart(record, IsText: false, IsLast: false);
        }

        ActivationSummary.Write(record.Span, window);
        return default;
    }

    public override void Dispose() => _page?.Dispose();
}
